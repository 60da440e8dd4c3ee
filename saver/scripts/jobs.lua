-- Jobs of a product, newest first: behind the one that was accepted then and has that id, or that one alone. The script answers whether
-- there are more, and each with its id, class, state, when it was accepted, its end, and its numbers.
--
-- KEYS base: the front of the keys of the product's own slot
-- ARGV accepted number: 0 and no id: from the newest on
-- ARGV id text: behind which, or which one
-- ARGV state number: only these; 0: all
-- ARGV max number: at most
-- ARGV only flag: the one of that id
-- PARTS jobs
-- REPLY [n[*[snnnnnnn]]] more jobs

no_growth()
local out, more = {}, 0
local ids = only and {id} or call('ZREVRANGEBYSCORE', all, accepted == 0 and '+inf' or accepted, '-inf')
for _, found in ipairs(ids) do
  local j = job_of(found)
  local is_behind = only or accepted == 0 or (j and (j.accepted < accepted or found < id))
  if j and is_behind and (state == 0 or j.state == state) then
    if #out == max then
      more = 1
      break
    end
    out[#out + 1] = {found, j.class, j.state, j.accepted, j.expires, j.targets, j.done, j.rejected}
  end
end
return {more, out}
