-- How jobs are packed: docs/REDIS.md has the keys. `base` is the front of the keys of the product's own slot.
--
-- PARTS now base memory
local pack, unpacked = struct.pack, struct.unpack
-- Parts that are not done, each by the time from which it is free; all jobs, by when they were accepted; what is under way in sum.
local free, all, sums = base .. 'jobs:free', base .. 'jobs:all', base .. 'jobs:open'
-- state class accepted expires targets done rejected claim parts bytes, then the number of the last lease
local JOB = '<BBI6I6I5I5I5I7I3I5I5'
local function key_of(id) return base .. 'job:' .. id end
local function member_of(id, part) return id .. ' ' .. part end
local function job_of(id)
  local packed = call('HGET', key_of(id), 'job')
  if not packed then return nil end
  local j = {id = id}
  j.state, j.class, j.accepted, j.expires, j.targets, j.done, j.rejected, j.claim, j.parts, j.bytes, j.number = unpacked(JOB, packed)
  return j
end
local function save_job(j)
  call('HSET', key_of(j.id), 'job',
    pack(JOB, j.state, j.class, j.accepted, j.expires, j.targets, j.done, j.rejected, j.claim, j.parts, j.bytes, j.number))
end
-- Of a part: the number of its lease, how many of its targets are done, and how many of these were refused.
local PART = '<I5I5I5'
