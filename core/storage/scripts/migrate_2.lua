-- Version 2 of one partition: the end of a lease stands in the set of those with work alone, and the state tells the
-- space. Answers how many conversations were changed.
local prefix, changed = string.match(READY, '^(.*:)ready$'), 0
for _, conversation in ipairs(redis.call('ZRANGE', READY, 0, -1)) do
  local state = prefix .. 'state:' .. conversation
  changed = changed + redis.call('HDEL', state, 'lease')
  local entry = redis.call('LINDEX', prefix .. 'box:' .. conversation, 0)
  local space = entry and space_of(entry) or ''
  if space ~= '' then changed = changed + redis.call('HSETNX', state, 'space', space) end
end
return changed
