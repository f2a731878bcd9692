-- Permits for calls in the order of asking, over all processes: at most so many in any window.
-- KEYS: bucket; ARGV: most in a window, window in ms, needed, spare, used late. Answers granted, ms until they hold.
-- What is needed is granted for a time to come, all for the same; what is spare only when it is free now.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local most, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local times = {}
for word in string.gmatch(redis.call('HGET', KEYS[1], 'times') or '', '%d+') do
  local ms = tonumber(word)
  if ms > now - 1000 then times[#times + 1] = ms end
end
-- Nobody waits so long for a permit: the clock was set back.
if #times > 0 and times[#times] > now + 60000 then times = {} end

local function free_at()
  return math.max(now, times[#times] or 0, (times[#times + 1 - most] or 0) + window)
end

-- What a process had kept and used just now takes the place of a call to come.
for _ = 1, tonumber(ARGV[5]) do times[#times + 1] = free_at() end
local first, granted = free_at(), 0
local wanted = tonumber(ARGV[3])
if first == now then wanted = wanted + tonumber(ARGV[4]) end
while granted < wanted and free_at() == first do
  times[#times + 1] = first
  granted = granted + 1
end
redis.call('HSET', KEYS[1], 'times', table.concat(times, ' '))
redis.call('EXPIRE', KEYS[1], 120)
return { granted, first - now }
