-- What comes along from another conversation: what waited there goes before all that waits here, once.
-- ARGV: conversation, the other's name, space, seconds to keep the state, number of fields, then each field of the state
-- with its value (what is here already stays), then the entries.
local conversation, from, space, seconds, fields = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
if redis.call('HGET', STATE, 'arrived') == from then return 0 end
for i = 6, 5 + 2 * fields, 2 do redis.call('HSETNX', STATE, ARGV[i], ARGV[i + 1]) end
for i = #ARGV, 6 + 2 * fields, -1 do
  redis.call('LPUSH', BOX, ARGV[i])
  count(space_of(ARGV[i]), 1)
end
redis.call('HSET', STATE, 'arrived', from)
redis.call('HDEL', STATE, 'arriving')
redis.call('EXPIRE', STATE, seconds)
-- Whoever answers here already, because it took too long, goes on by itself.
if redis.call('EXISTS', TURN) == 0 then
  redis.call('ZREM', READY, conversation)
  if redis.call('EXISTS', BOX) == 1 then ready(conversation, space, false) end
end
return 1
