-- Version 2 of one partition: the end of a lease stands in the set of those with work alone, and the state tells the space.
local prefix = string.match(READY, '^(.*:)ready$')
for _, conversation in ipairs(redis.call('ZRANGE', READY, 0, -1)) do
  local state = prefix .. 'state:' .. conversation
  redis.call('HDEL', state, 'lease')
  local entry = redis.call('LINDEX', prefix .. 'box:' .. conversation, 0)
  local space = entry and space_of(entry) or ''
  if space ~= '' then redis.call('HSETNX', state, 'space', space) end
end
