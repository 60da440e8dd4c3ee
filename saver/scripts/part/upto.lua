-- How an ack's numbers are packed (redis_devices.c): the session's generation, where the news stands and where bulk, and the number of
-- positions; behind them stream, epoch and seq of each.
local ONE, FIXED, POSITION = '<I8I8I8I8I8BBI8I8', '<I8I8I8I8I8B', '<BI8I8'
