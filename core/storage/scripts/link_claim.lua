-- One try at a code: who is right first has it, and nobody else after that. KEYS: the code, wrong tries of the account,
-- wrong tries of all. ARGV: platform of the account, id of this try, most wrong tries of an account, seconds that they
-- count, most of all, seconds that these count, 1 to void the code instead.
-- Answers 'paused SECONDS', 'wrong', 'same' (it was issued on this platform), or what the code says.
local platform, id = ARGV[1], ARGV[2]
local code = redis.call('HMGET', KEYS[1], 'says', 'by', 'platform')
-- This very try had it already: a lost reply, or a process that died with the call.
if code[1] and code[2] == id then return code[1] end
local is_known = redis.call('HEXISTS', KEYS[2], id) == 1
for i = 2, is_known and 1 or 3 do
  if tonumber(redis.call('HGET', KEYS[i], 'count') or 0) >= tonumber(ARGV[2 * i - 1]) then
    return 'paused ' .. math.max(1, redis.call('TTL', KEYS[i]))
  end
end
if ARGV[7] == '1' then
  redis.call('DEL', KEYS[1])
elseif code[1] and not code[2] then
  if code[3] == platform then return 'same' end
  redis.call('HSET', KEYS[1], 'by', id)
  return code[1]
end
for i = 2, is_known and 1 or 3 do
  redis.call('HSET', KEYS[i], 'count', tonumber(redis.call('HGET', KEYS[i], 'count') or 0) + 1)
  if redis.call('TTL', KEYS[i]) < 0 then redis.call('EXPIRE', KEYS[i], ARGV[2 * i]) end
end
redis.call('HSET', KEYS[2], id, 1)
return 'wrong'
