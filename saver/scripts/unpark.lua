-- Dead letters are taken away, and with them their entries. The script answers how many.
--
-- KEYS base: the front of the bucket's keys
-- ARGV name text: the user
-- ARGV wanted number: the epoch; 0: of any
-- ARGV is_all flag: all of them, whatever is named
-- REST seq number: of each
-- PARTS dead_letters
-- REPLY i

no_growth()
local l, named, done = open(name), {}, 0
if not l or (wanted ~= 0 and wanted ~= l.epoch) then
  finish()
  return 0
end
for i = rest, #ARGV do named[tonumber(ARGV[i])] = true end
for i = #dead_letters_of(l), 1, -1 do
  if is_all or named[l.dead[i][1]] then
    drop_dead_letter(l, i)
    done = done + 1
  end
end
if done > 0 then save_dead_letters(l) end
finish()
return done
