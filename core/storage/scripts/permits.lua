-- A token bucket over all processes. KEYS: bucket; ARGV: rate a second, burst, wanted. Answers granted, ms until the next.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local rate, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local kept = redis.call('HMGET', KEYS[1], 'level', 'at')
local level = math.min(burst, (tonumber(kept[1]) or burst) + math.max(0, now - (tonumber(kept[2]) or now)) * rate / 1000)
local granted = math.min(wanted, math.floor(level))
level = level - granted
redis.call('HSET', KEYS[1], 'level', tostring(level), 'at', now)
redis.call('EXPIRE', KEYS[1], 60)
local wait = 0
if granted == 0 then wait = math.ceil((1 - level) / rate * 1000) end
return { granted, wait }
