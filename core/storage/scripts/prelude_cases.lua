-- Shared by the scripts that change a space's book. KEYS: the cases, their order; then those of the script.
local cases, order = KEYS[1], KEYS[2]
local time = redis.call('TIME')
-- In microseconds, which no two cases share.
local micros = time[1] * 1000000 + time[2]
-- What has an end that is still to come is kept until then: its place among the oldest becomes that time.
local function ends_of(text)
  return tonumber(string.match(text or '', '"until": ([%d.]+)') or 0)
end
local function remove(gone)
  local free = {}
  for _, each in ipairs(gone) do
    local ends = ends_of(redis.call('HGET', cases, each)) * 1000000
    if ends > micros then
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
-- Takes out what is older than so many seconds, and the oldest where there are too many.
local function trim(keep, most)
  remove(redis.call('ZRANGEBYSCORE', order, '-inf', micros - keep * 1000000, 'LIMIT', 0, 100))
  local over = redis.call('ZCARD', order) - most
  if over > 0 then remove(redis.call('ZRANGE', order, 0, math.min(over, 100) - 1)) end
end
