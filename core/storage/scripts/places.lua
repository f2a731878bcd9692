-- Notes the last message of places, of several the newest, and keeps the liveliest places. KEYS: zset of places, hash of
-- their last messages; ARGV: unix seconds, most places, seconds to keep, then place and record in turn.
-- Ids are numbers that are too long for Lua's.
local function is_newer(record, than)
  local id, other = string.match(record, '^%S*'), string.match(than, '^%S*')
  return #id > #other or (#id == #other and id > other)
end
for i = 4, #ARGV, 2 do
  redis.call('ZADD', KEYS[1], ARGV[1], ARGV[i])
  if is_newer(ARGV[i + 1], redis.call('HGET', KEYS[2], ARGV[i]) or '') then
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
  end
end
local excess = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[2])
if excess > 0 then
  local oldest = redis.call('ZPOPMIN', KEYS[1], excess)
  for i = 1, #oldest, 2 do redis.call('HDEL', KEYS[2], oldest[i]) end
end
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[3])
return 1
