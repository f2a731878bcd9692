-- Raises the store's version, never lowers it. KEYS: schema; ARGV: version, program.
local version = tonumber(redis.call('HGET', KEYS[1], 'version') or 0)
if version < tonumber(ARGV[1]) then
  redis.call('HSET', KEYS[1], 'version', ARGV[1], 'program', ARGV[2], 'at', redis.call('TIME')[1])
end
redis.call('HDEL', KEYS[1], 'reached:' .. ARGV[1])
