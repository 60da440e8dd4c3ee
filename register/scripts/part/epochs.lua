-- The epochs of a store that has none, or is another run of the server than before: those that the caller drew.
--
-- PARTS directory

local function take_epochs()
  if call('HGET', dir .. ':h', 'run') ~= run then
    call('HSET', dir .. ':h', 'run', run, 'de', directory_epoch, 'ce', catalog_epoch, 'ie', index_epoch, 'since', F(now))
  end
end
