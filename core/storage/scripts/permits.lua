-- Permits for calls in the order of asking, over all processes: at most so many in any window.
-- KEYS: bucket; ARGV: most in a window, window in ms, needed, spare, most to come, used late.
-- Answers the ms until one more is free, then for each permit the ms until it holds: 0 for those that are free now, then
-- evenly spread ones of a time to come, for nothing but what is needed.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local most, window, needed, spare = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local to_come, late = tonumber(ARGV[5]), tonumber(ARGV[6])
local times = {}
for word in string.gmatch(redis.call('HGET', KEYS[1], 'times') or '', '%d+') do
  local ms = tonumber(word)
  if ms > now - 5 * window then times[#times + 1] = ms end
end
-- Nobody waits so long for a permit: the clock was set back.
if #times > 0 and times[#times] > now + 60000 then times = {} end

local function free_at()
  local last = times[#times] or 0
  local at = math.max(last, (times[#times + 1 - most] or 0) + window)
  -- After a quiet time many at once. When half of the last windows was used, or if it comes to waiting, evenly.
  if at > now or #times >= 2.5 * most then at = math.max(at, last + math.floor(window / most)) end
  return math.max(at, now)
end

-- What a process had kept and used just now takes the place of a call to come.
for _ = 1, late do times[#times + 1] = free_at() end
local waits = {}
for number = 1, needed + spare do
  local at = free_at()
  if at > now and number > math.min(needed, to_come) then break end
  times[#times + 1] = at
  waits[number] = at - now
end
table.insert(waits, 1, free_at() - now)
redis.call('HSET', KEYS[1], 'times', table.concat(times, ' '))
redis.call('EXPIRE', KEYS[1], 120)
return waits
