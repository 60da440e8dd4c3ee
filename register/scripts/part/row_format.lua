-- How a user's rows are packed, in one field for each user: one behind the other, in the order in which devices came. docs/REDIS.md has
-- the keys. Functions are made anew at each call of a script: what most calls do stands in front of the first (login_next.lua).
--
-- PARTS now rows_nothing
local pack, unpacked = struct.pack, struct.unpack
-- device generation login incarnation slot online since seen room address
local ROW = '<Bc0I7I7I7c8BI6I6Bc0Bc0'
local NO_SLOT = '\0\0\0\0\0\0\0\0'
