-- How logs are packed: docs/REDIS.md has the keys. `base` is the front of a bucket's keys, with their hash tag, and `history` says
-- which one of the data the caller knows. No key has a TTL. Numbers stay below 2^53, where Lua's are exact; a command that takes one as an argument gets all its digits.
--
-- A log's state is one of three forms, then its devices, then the ranges that left it. The first form is that of a log that never had
-- anything, the short one of a log in which nothing waits; each goes on behind the one before. Functions are made anew at each call of a script, and cost more than most commands: what is done at
-- nearly every call therefore stands in front of the first of them (append_next.lua, ack_next.lua).
--
-- CONST SLICE_MS = ID_KEPT_MIN_MS
-- PARTS now
local pack, unpacked = struct.pack, struct.unpack
local logs, due = base .. 'l', base .. 'due'
-- form epoch head change history; redis_read.c reads these, too
local NEW = '<BI7I7I4c6'
-- when it is due at the latest (0: it stands in no list), when an id was last put into a slice
local REST_OF_SHORT = '<I6I6'
local SHORT = '<BI7I7I4c6I6I6'
-- start of the last run of entries, what else there is of it (1 earlier runs, 2 attempts, 4 parked entries, 8 collapse keys), named, odd, count, waiting, handled upto, the
-- sum of all sizes, bytes, waiting bytes, the highest end. Each of these but the last makes the script go the long way, so that the short one need not look.
local LONG = '<I7BI4I4I4I4I7I6I6I6I6'
local BOTH = '<BI7I7I4c6I6I6I7BI4I4I4I4I7I6I6I6I6'
-- Behind each form: how often a session has arrived, by 65536, and how many devices follow.
local ARRIVALS = '<I2'
local BEFORE_DEVICES = '<I2I2'
-- name generation seen, then epoch and seq of each stream
local DEVICE = '<Bc0I7I6I7I7I7I7I7I7'
-- the sum of all sizes with this one, end, sent, size, told (1 the time it was sent, 2 its end, 4 named, 8 odd); behind it the message
local ENTRY = '<I6I6I6I4B'
-- epoch seq change sent end, until when it is remembered; behind it the body's hash
local ID = '<I7I7I4I6I6I6'
-- The ids of the time that is now, and of the one before.
local slice_began = now - now % SLICE_MS
local slice = slice_began / SLICE_MS
local ids, ids_before = base .. 'i:' .. slice, base .. 'i:' .. slice - 1
