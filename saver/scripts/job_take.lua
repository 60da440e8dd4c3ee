-- A part that nobody has a lease of, under the next number. The script answers whether any part is not done, and the time; then the part:
-- its job's id where there is one, which it is, the lease's number and end, how far it has come, the job and the part's targets.
--
-- KEYS base: the front of the keys of the product's own slot
-- ARGV lease_ms number: from now on
-- CONST JOB_RUNNING = HAWSER__INTERNAL__JOB_STATE__JOB_RUNNING
-- PARTS jobs
-- REPLY [nnsnnnnnss] is_open store_ms id part number until_ms cursor rejected job targets

no_growth()
local until_ms = now + lease_ms
local member = call('ZRANGEBYSCORE', free, '-inf', now, 'LIMIT', 0, 1)[1]
if not member then return {call('EXISTS', free), now, '', 0, 0, 0, 0, 0, '', ''} end
local id, part = string.match(member, '^(.*) (%d+)$')
local j = job_of(id)
local _, cursor, rejected = unpacked(PART, call('HGET', key_of(id), 'p' .. part))
j.state, j.number = JOB_RUNNING, j.number + 1
save_job(j)
call('HSET', key_of(id), 'p' .. part, pack(PART, j.number, cursor, rejected))
call('ZADD', free, until_ms, member)
return {1, now, id, tonumber(part), j.number, until_ms, cursor, rejected, call('HGET', key_of(id), 'what'), call('HGET', key_of(id), 't' .. part)}
