-- How far a part has come; the lease is renewed by it. An older number than the last one is refused. The script answers whether it is,
-- the lease's end, the time, and whether the job is done.
--
-- KEYS base: the front of the keys of the product's own slot
-- ARGV id text: of the job
-- ARGV part text: its number
-- ARGV number number: of the lease
-- ARGV cursor number: of its targets, those that are done
-- ARGV rejected number: of these, those that were refused
-- ARGV ends flag: all of them are done
-- ARGV lease_ms number: from now on
-- CONST JOB_DONE = HAWSER__INTERNAL__JOB_STATE__JOB_DONE
-- PARTS jobs
-- REPLY [nnnn] stale until_ms store_ms is_done

no_growth()
local key, until_ms = key_of(id), now + lease_ms
local packed = call('HGET', key, 'p' .. part)
local last, cursor_before, rejected_before = 0, 0, 0
if packed then last, cursor_before, rejected_before = unpacked(PART, packed) end
if not packed or number ~= last or cursor < cursor_before or rejected < rejected_before then return {1, 0, now, 0} end
local j = job_of(id)
j.done, j.rejected = j.done + cursor - cursor_before, j.rejected + rejected - rejected_before
if rejected > rejected_before then call('HINCRBY', base .. 'sum', 'rejected', rejected - rejected_before) end
if not ends then
  call('HSET', key, 'p' .. part, pack(PART, number, cursor, rejected))
  call('ZADD', free, until_ms, member_of(id, part))
  save_job(j)
  return {0, until_ms, now, 0}
end
call('HDEL', key, 'p' .. part, 't' .. part)
call('ZREM', free, member_of(id, part))
j.parts = j.parts - 1
if j.parts == 0 then
  j.state = JOB_DONE
  call('HDEL', key, 'what')
  call('HINCRBY', sums, 'open', -1)
  call('HINCRBY', sums, 'bytes', -j.bytes)
end
save_job(j)
return {0, until_ms, now, j.parts == 0 and 1 or 0}
