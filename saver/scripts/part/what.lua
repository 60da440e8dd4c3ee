-- How an append's numbers are packed (redis_append.c): flags (1 inbox, 2 what does not fit is refused, 4 no new Idempotency-Key, 8 with a
-- hash, 16 with names), how long the id is remembered, the last moment, the log's limits in messages, bytes and time, the message's end,
-- when it was sent, its payload's bytes, a claim, and the end counted from now; behind them the hash, and the names of the devices between zeros.
--
-- CONST TIME_FIELD_BYTES
local WHAT = '<BI8I8I8I8I8I8I8I8I8I8'
