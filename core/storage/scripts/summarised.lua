-- Keeps a summary of what lies before a message, unless something was forgotten since it was read.
-- ARGV: id, count of forgettings when it was read, summary.
if (redis.call('HGET', STATE, 'forgettings') or '0') ~= ARGV[2] then return 0 end
if redis.call('HEXISTS', TREE, ARGV[1]) == 0 then return 0 end
redis.call('HSET', TREE, '~' .. ARGV[1], ARGV[3])
return 1
