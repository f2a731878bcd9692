-- Raises the store's version, never lowers it. KEYS: schema; ARGV: version, program. Answers the version by now.
local version = tonumber(redis.call('HGET', KEYS[1], 'version') or 0)
if version < tonumber(ARGV[1]) then
  redis.call('HSET', KEYS[1], 'version', ARGV[1], 'program', ARGV[2], 'at', redis.call('TIME')[1])
  version = tonumber(ARGV[1])
end
return version
