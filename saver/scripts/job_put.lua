-- A job is stored whole, or not at all: idempotent by id. The script answers its outcome and the time.
--
-- KEYS base: the front of the keys of the product's own slot
-- ARGV id text: of the job
-- ARGV job bytes: what each part is taken with
-- ARGV class number: of its message
-- ARGV expires number: its end
-- ARGV targets number: how many
-- ARGV claim number: that took its key
-- ARGV not_after number: its last moment; 0: none
-- ARGV bytes number: of all of it
-- REST targets_of bytes: of each part
-- CONST STORED = HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_STORED
-- CONST REPLAYED = HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_REPLAYED
-- CONST TOO_LATE = HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_TOO_LATE
-- CONST JOBS_FULL = HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_JOBS_FULL
-- CONST JOB_QUEUED = HAWSER__INTERNAL__JOB_STATE__JOB_QUEUED
-- CONST JOB_DONE = HAWSER__INTERNAL__JOB_STATE__JOB_DONE
-- CONST JOBS_OPEN_MAX
-- CONST JOBS_BYTES_MAX
-- CONST JOBS_KEPT_MAX
-- PARTS jobs
-- REPLY [nn] outcome store_ms

local old = job_of(id)
if old and (old.state ~= JOB_DONE or old.claim == claim) then return {REPLAYED, now} end
if not_after ~= 0 and now > not_after then return {TOO_LATE, now} end
local open, open_bytes = tonumber(call('HGET', sums, 'open') or 0), tonumber(call('HGET', sums, 'bytes') or 0)
if open >= JOBS_OPEN_MAX or open_bytes + bytes > JOBS_BYTES_MAX then return {JOBS_FULL, now} end
grow()
-- Of those that are kept the oldest that is done makes place; there are more than may be under way.
for _, other in ipairs(call('ZCARD', all) >= JOBS_KEPT_MAX and call('ZRANGE', all, 0, JOBS_OPEN_MAX) or {}) do
  if job_of(other).state == JOB_DONE then
    call('ZREM', all, other)
    call('DEL', key_of(other))
    break
  end
end
local j = {id = id, state = JOB_QUEUED, class = class, accepted = now, expires = expires, targets = targets, done = 0,
  rejected = 0, claim = claim, parts = #ARGV - rest + 1, bytes = bytes, number = old and old.number or 0}
call('DEL', key_of(id))
save_job(j)
call('HSET', key_of(id), 'what', job)
for i = rest, #ARGV do
  local part = i - rest
  call('HSET', key_of(id), 't' .. part, ARGV[i], 'p' .. part, pack(PART, 0, 0, 0))
  call('ZADD', free, now, member_of(id, part))
end
call('ZADD', all, now, id)
call('HINCRBY', sums, 'open', 1)
call('HINCRBY', sums, 'bytes', bytes)
return {STORED, now}
