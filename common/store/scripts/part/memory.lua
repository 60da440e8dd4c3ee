-- A full server refuses a script's first command that may take memory, and none behind one that has written, so that no step is
-- done by half. What may grow therefore asks before it writes anything; a step that lets go, or only changes what is there, says
-- so instead. `nothing` is a key in the step's slot that is never there.
local function grow() call('SETRANGE', nothing, 0, '') end
local function no_growth() call('DEL', nothing) end
