-- Writes a case into a space's book. KEYS: the cases, their order, the cases of whom it is about, the case made for this
-- call, and how many its actor made of late.
-- ARGV: case, seconds to keep, most cases, seconds to remember the call, most of the actor's (0: any number), seconds in
-- which these count. Answers the case's number, or 0 where the actor made too many.
local cases, order, of, made, many = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local keep, most = tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
-- In microseconds, which no two cases share.
local now = time[1] * 1000000 + time[2]
local before = redis.call('GET', made)
if before then return tonumber(before) end
if tonumber(ARGV[5]) > 0 then
  if tonumber(redis.call('GET', many) or 0) >= tonumber(ARGV[5]) then return 0 end
  if redis.call('INCR', many) == 1 then redis.call('EXPIRE', many, ARGV[6]) end
end
-- The number stands beside the cases and lives as long as the newest.
local number = redis.call('HINCRBY', cases, 'last', 1)
redis.call('HSET', cases, number, ARGV[1])
redis.call('ZADD', order, now, number)
redis.call('ZADD', of, now, number)
redis.call('SET', made, number, 'EX', ARGV[4])
-- What has an end that is still to come is kept until then: its place among the oldest becomes that time.
local function ends_of(text)
  return tonumber(string.match(text or '', '"until": ([%d.]+)') or 0)
end
local function remove(gone)
  local free = {}
  for _, each in ipairs(gone) do
    local ends = ends_of(redis.call('HGET', cases, each)) * 1000000
    if ends > now then
      redis.call('ZADD', order, string.format('%.0f', ends), each)
    else
      free[#free + 1] = each
    end
  end
  if #free > 0 then
    redis.call('HDEL', cases, unpack(free))
    redis.call('ZREM', order, unpack(free))
  end
end
-- A book may be kept for longer than its newest case asks for.
local function last(key, seconds)
  if redis.call('TTL', key) < seconds then redis.call('EXPIRE', key, seconds) end
end
remove(redis.call('ZRANGEBYSCORE', order, '-inf', now - keep * 1000000, 'LIMIT', 0, 100))
local over = redis.call('ZCARD', order) - most
if over > 0 then remove(redis.call('ZRANGE', order, 0, math.min(over, 100) - 1)) end
for _, key in ipairs({cases, order, of}) do last(key, keep) end
return number
