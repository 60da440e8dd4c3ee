-- Where a step of sessions asks whether there is memory.
local nothing = rows .. ':nothing'
