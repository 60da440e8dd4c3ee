-- Where a script asks whether there is memory: behind the front of its bucket's keys.
local nothing = base .. 'nothing'
