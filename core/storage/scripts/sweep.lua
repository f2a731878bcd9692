-- The conversations of one partition that have work which nobody takes, oldest first, each followed by its space.
-- KEYS: the set; ARGV: most, 1 for all with work, the longest lease in ms, ms that a wake-up is given to be heard, then
-- the bots that are served, as platform:bot.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local longest = now + tonumber(ARGV[3])
-- A lease that ends later than any can was taken before the server's clock was set back.
for _, name in ipairs(redis.call('ZRANGE', KEYS[1], '(' .. longest, '+inf', 'BYSCORE', 'LIMIT', 0, ARGV[1])) do
  redis.call('ZADD', KEYS[1], longest, name)
end
local upto = ARGV[2] == '1' and '+inf' or now - tonumber(ARGV[4])
local prefix = string.match(KEYS[1], '^(.*:)ready$')
local found = {}
local served = {}
for i = 5, #ARGV do served[ARGV[i]] = true end
-- Others' conversations may wait in front, for ever if nobody serves them.
for _, name in ipairs(redis.call('ZRANGE', KEYS[1], '-inf', upto, 'BYSCORE', 'LIMIT', 0, 50 * ARGV[1])) do
  if served[string.match(name, '^[^:]*:[^:]*')] then
    table.insert(found, name)
    table.insert(found, redis.call('HGET', prefix .. 'state:' .. name, 'space') or '')
    if #found >= 2 * tonumber(ARGV[1]) then break end
  end
end
return found
