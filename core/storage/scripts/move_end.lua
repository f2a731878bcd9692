-- Removes what was taken along; what is left tells where it went. ARGV: seconds to keep that, then fields of the state.
for _, entry in ipairs(redis.call('LRANGE', BOX, 0, -1)) do count(space_of(entry), -1) end
redis.call('UNLINK', BOX, TREE, ORDER, (string.gsub(ORDER, '}:order:', '}:notices:', 1)))
redis.call('HDEL', STATE, unpack(ARGV, 2))
redis.call('HSET', STATE, 'emptied', 1)
redis.call('EXPIRE', STATE, ARGV[1])
return 'ok'
