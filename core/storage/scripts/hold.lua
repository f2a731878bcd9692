-- Takes or keeps a named lease. KEYS: the lease; ARGV: owner, milliseconds, mode.
-- mode: take (free, or the owner's own already), keep (the owner's own only), free (gives the owner's own back).
-- Answers 1 when the owner has it now (for free: had it), else 0.
local holder = redis.call('GET', KEYS[1])
if ARGV[3] == 'free' then
  if holder == ARGV[1] then redis.call('DEL', KEYS[1]) end
  return holder == ARGV[1] and 1 or 0
end
if holder == ARGV[1] or (not holder and ARGV[3] == 'take') then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return 1
end
return 0
