-- Sets aside what a call may take, if every budget that holds for it has so much left.
-- KEYS: open, ends, held, used of the day, used of the month.
-- ARGV: reservation, ms that it holds, longest that any may hold in ms, day, month, ms of the day's beginning and end,
-- thousandths of a budget of money that count as little or '' where that does not matter, money, images, seconds, least
-- money; then for each budget its span (4 day, 5 month: its place in KEYS), scope, thing (1 money, 2 images, 3 seconds)
-- and limit.
-- Answers 'granted' and the money set aside; 'over', the number of the budget, what is used of it, and 1 where it is
-- only held by calls under way; 'low'; or 'clock' and this server's time in ms, where it is another day here.
local THINGS = { 'money', 'images', 'seconds' }
local id, longest = ARGV[1], tonumber(ARGV[3])
local dates = { [4] = ARGV[4], [5] = ARGV[5] }
local share = tonumber(ARGV[8])
local most = { tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11]) }
local least = { tonumber(ARGV[12]), most[2], most[3] }

local function whole(number) return string.format('%.0f', number) end

for _, reservation in ipairs(redis.call('ZRANGEBYSCORE', ENDS, '-inf', now)) do release(reservation) end
-- None holds so long: the clock was set back.
for _, reservation in ipairs(redis.call('ZRANGEBYSCORE', ENDS, now + longest, '+inf')) do
  redis.call('ZADD', ENDS, now + longest, reservation)
end
-- Done before, and the reply got lost.
local before = redis.call('HGET', OPEN, id)
if before then return { 'granted', cjson.decode(before)['money'] } end
if now < tonumber(ARGV[6]) or now >= tonumber(ARGV[7]) then return { 'clock', now } end

local money, over, is_low, fields = most[1], nil, false, {}
for i = 13, #ARGV, 4 do
  local span, thing, limit = tonumber(ARGV[i]), tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
  if most[thing] > 0 then
    local sum = ARGV[i + 1] .. '\t' .. THINGS[thing]
    local field = dates[span] .. '\t' .. sum
    local used = tonumber(redis.call('HGET', KEYS[span], sum) or 0)
    local held = tonumber(redis.call('HGET', HELD, field) or 0)
    local left = limit - used - held
    if thing == 1 then
      money = math.min(money, left)
      if share and (limit - used) * 1000 < limit * share then is_low = true end
    end
    if left < least[thing] then
      local passing = limit - used >= least[thing]
      -- Of several the one that lasts longest is told.
      if not over or (over.passing and not passing) or (over.passing == passing and span > over.span) then
        over = { number = (i - 13) / 4, used = used, passing = passing, span = span }
      end
    end
    table.insert(fields, { field, thing })
  end
end
if is_low then return { 'low' } end
if over then return { 'over', over.number, whole(over.used), over.passing and 1 or 0 } end

local granted, held = { money, most[2], most[3] }, {}
for _, field in ipairs(fields) do
  local amount = whole(granted[field[2]])
  redis.call('HINCRBY', HELD, field[1], amount)
  table.insert(held, field[1])
  table.insert(held, amount)
end
redis.call('HSET', OPEN, id, cjson.encode({ money = whole(money), held = held }))
redis.call('ZADD', ENDS, now + tonumber(ARGV[2]), id)
for i = 1, 3 do redis.call('PEXPIRE', KEYS[i], 2 * longest) end
return { 'granted', whole(money) }
