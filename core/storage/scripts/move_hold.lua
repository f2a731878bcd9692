-- Has a conversation wait for what moves into it: it takes messages, and answers none before its time has come.
-- ARGV: conversation, the other's name, ms to wait at most, seconds to keep the state, seconds to remember SEEN, which is
-- the update that is not to be accepted here any more.
if redis.call('HGET', STATE, 'arrived') == ARGV[2] then return 0 end
if redis.call('HSETNX', STATE, 'arriving', now_ms() + ARGV[3]) == 1 then redis.call('EXPIRE', STATE, ARGV[4]) end
redis.call('SET', SEEN, '1', 'NX', 'EX', ARGV[5])
return 1
