-- Counts what happened in a sliding time, over all processes. KEYS: the count's hash; ARGV: how many more, slice in
-- seconds, number of slices that count. Answers the sum. Run twice for a lost reply, it counts too much, never too little.
local slice = math.floor(tonumber(redis.call('TIME')[1]) / tonumber(ARGV[2]))
if tonumber(ARGV[1]) > 0 then redis.call('HINCRBY', KEYS[1], slice, ARGV[1]) end
local sum, all = 0, redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local age = slice - tonumber(all[i])
  if age >= 0 and age <= tonumber(ARGV[3]) then
    sum = sum + tonumber(all[i + 1])
  else
    redis.call('HDEL', KEYS[1], all[i])
  end
end
if #all > 0 then redis.call('EXPIRE', KEYS[1], ARGV[2] * (ARGV[3] + 1)) end
return sum
