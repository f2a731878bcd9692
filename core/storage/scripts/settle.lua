-- Counts what calls took, each once, and gives back what was set aside for them.
-- KEYS: open, ends, held, settled, names, then whatever the entries point to by its place.
-- ARGV: ms of the day's beginning and end or '' where the entries know their day, ms that an entry is known to be
-- settled, thousandths of a budget at which its owner is told, seconds to keep what was used, and usage; then each entry
-- as JSON:
--   id, sums: list of {place, field, amount}, usage: the same, name: {person, name} or null,
--   budgets: list of {place, field, limit}
-- Answers for each entry the list of its budgets, counted from 0, of which so much is used; or 'clock' and this server's
-- time in ms, where it is another day here.
local SETTLED, NAMES = KEYS[4], KEYS[5]
if ARGV[1] ~= '' and (now < tonumber(ARGV[1]) or now >= tonumber(ARGV[2])) then return { 'clock', now } end

local function count(sums, seconds)
  for _, sum in ipairs(sums) do
    local key = KEYS[tonumber(sum[1])]
    redis.call('HINCRBY', key, sum[2], sum[3])
    redis.call('EXPIRE', key, seconds)
  end
end

local told = {}
for i = 7, #ARGV do
  local entry, near = cjson.decode(ARGV[i]), {}
  release(entry['id'])
  -- It may be written twice: the reply to the first time got lost.
  if redis.call('ZADD', SETTLED, 'NX', now, entry['id']) == 1 then
    count(entry['sums'], ARGV[5])
    count(entry['usage'], ARGV[6])
    if entry['name'][1] then
      redis.call('HSET', NAMES, entry['name'][1], entry['name'][2])
      redis.call('EXPIRE', NAMES, ARGV[6])
    end
  end
  for number, budget in ipairs(entry['budgets']) do
    local used = tonumber(redis.call('HGET', KEYS[tonumber(budget[1])], budget[2]) or 0)
    if used * 1000 >= tonumber(budget[3]) * tonumber(ARGV[4]) then table.insert(near, number - 1) end
  end
  table.insert(told, near)
end
redis.call('ZREMRANGEBYSCORE', SETTLED, '-inf', now - tonumber(ARGV[3]))
redis.call('PEXPIRE', SETTLED, ARGV[3])
return told
