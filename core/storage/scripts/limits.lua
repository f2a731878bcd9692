-- Counts a question in several moving windows at once, in all of them or in none.
-- KEYS: a zset for each window, token -> ms since 1970. ARGV: token ('' only asks), then for each window its most and its
-- length in ms. Answers the longest of the waits in ms (0: counted, or counted before), and which window that is of.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local token, longest, which, is_new = ARGV[1], 0, 0, false
for i, key in ipairs(KEYS) do
  local most, length = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - length)
  -- What is yet to come was counted before the server's clock was set back.
  redis.call('ZREMRANGEBYSCORE', key, now + 1000, '+inf')
  if token == '' or not redis.call('ZSCORE', key, token) then
    is_new = true
    local over = redis.call('ZCARD', key) - most
    if over >= 0 then
      -- So many have to go before there is room; a window may have been made smaller.
      local last = redis.call('ZRANGE', key, over, over, 'WITHSCORES')[2]
      local wait = math.max(1, last + length - now)
      if wait > longest then longest, which = wait, i end
    end
  end
end
if longest == 0 and is_new and token ~= '' then
  for i, key in ipairs(KEYS) do
    redis.call('ZADD', key, 'NX', now, token)
    redis.call('PEXPIRE', key, ARGV[2 * i + 1])
  end
end
return { longest, which }
