-- Gives a conversation the lifetime that its space keeps conversations for, counted from its last message.
-- KEYS: its order, tree, notices, votes, state. ARGV: seconds. Answers 1 when that time was over and it is forgotten.
local last = redis.call('ZRANGE', KEYS[1], 0, 0, 'REV', 'WITHSCORES')
if not last[2] then return 0 end
local t = redis.call('TIME')
local left = math.floor(tonumber(last[2]) / 1000) + tonumber(ARGV[1]) - tonumber(t[1])
if left <= 0 then
  -- The state has the fencing token: a worker may be about to answer there.
  redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
  redis.call('HDEL', KEYS[5], 'newest')
  return 1
end
for i = 1, #KEYS do redis.call('EXPIRE', KEYS[i], left) end
return 0
