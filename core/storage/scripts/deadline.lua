-- What is to be done at a time. KEYS: their times, what each is. ARGV: what to do, then as below.
--   set ID AT TEXT     puts it in, or in the place of the one with that id
--   drop ID            takes it out; 1 if it was there
--   take NOW MOST UNTIL  the ids and texts of those that are due, which nobody else gets before UNTIL
--   done ID TEXT AT    takes it out unless it was set anew meanwhile, be it for the same time
local times, texts = KEYS[1], KEYS[2]
local what = ARGV[1]
if what == 'set' then
  redis.call('HSET', texts, ARGV[2], ARGV[4])
  redis.call('ZADD', times, ARGV[3], ARGV[2])
  return {}
elseif what == 'drop' then
  redis.call('ZREM', times, ARGV[2])
  return {tostring(redis.call('HDEL', texts, ARGV[2]))}
elseif what == 'done' then
  -- Whoever took it moved its time.
  local is_new = tonumber(redis.call('ZSCORE', times, ARGV[2]) or 0) == tonumber(ARGV[4])
  if redis.call('HGET', texts, ARGV[2]) == ARGV[3] and not is_new then
    redis.call('ZREM', times, ARGV[2])
    redis.call('HDEL', texts, ARGV[2])
  end
  return {}
end
local found = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', times, '-inf', ARGV[2], 'LIMIT', 0, ARGV[3])) do
  local text = redis.call('HGET', texts, id)
  if text then
    redis.call('ZADD', times, ARGV[4], id)
    found[#found + 1] = id
    found[#found + 1] = text
  else
    redis.call('ZREM', times, id)
  end
end
return found
