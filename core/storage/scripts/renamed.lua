-- Counts under another name what was counted under one; run again it does nothing. KEYS: a hash of numbers.
-- ARGV: pairs of the old field and the new one, which may be '' for nothing.
for i = 1, #ARGV, 2 do
  local amount = redis.call('HGET', KEYS[1], ARGV[i])
  if amount and ARGV[i + 1] ~= '' then redis.call('HINCRBY', KEYS[1], ARGV[i + 1], amount) end
  redis.call('HDEL', KEYS[1], ARGV[i])
end
return 1
