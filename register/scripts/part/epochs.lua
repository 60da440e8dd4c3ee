-- The epochs of a store that has none, or goes on in another history than before: those that the caller drew.
--
-- PARTS directory

local function take_epochs()
  if call('HGET', dir .. ':h', 'history') ~= history then
    call('HSET', dir .. ':h', 'history', history, 'de', directory_epoch, 'ce', catalog_epoch, 'ie', index_epoch, 'since', F(now))
  end
end
