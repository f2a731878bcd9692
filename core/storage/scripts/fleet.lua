-- Who is in a fleet, and into how many parts it splits its work. KEYS: the fleet's hash; ARGV: process, ms to live unless
-- it joins again, number proposed, number wanted (0: any), number it runs parts of (0: none), its parts, a number to
-- change to (0: none), the parts that it alone is to run, if any. Answers the number, then process, wanted, running,
-- parts, parts for it alone of every living member.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local me, life, running = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[5])
local number, members = nil, {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local field, value = all[i], all[i + 1]
  if field == 'number' then
    number = tonumber(value)
  elseif field ~= '@' .. me then
    local ends, wanted, runs, parts, own = string.match(value, '^(%d+)|(%d+)|(%d+)|([^|]*)|?(.*)$')
    -- One that ends later than any can has joined before the server's clock was set back.
    if ends and tonumber(ends) > now and tonumber(ends) <= now + 10 * life then
      table.insert(members, { string.sub(field, 2), wanted, runs, parts, own })
    else
      redis.call('HDEL', KEYS[1], field)
    end
  end
end
if tonumber(ARGV[7]) > 0 then
  number = tonumber(ARGV[7])
elseif not number or (#members == 0 and running == 0) then
  number = tonumber(ARGV[3])
end
-- Who runs nothing yet may begin with the number as soon as it has the answer.
if running == 0 then running = number end
table.insert(members, { me, ARGV[4], tostring(running), ARGV[6], ARGV[8] })
redis.call('HSET', KEYS[1], 'number', number, '@' .. me,
           string.format('%.0f|%s|%.0f|%s|%s', now + life, ARGV[4], running, ARGV[6], ARGV[8]))
redis.call('PEXPIRE', KEYS[1], 10 * life)
return { number, members }
