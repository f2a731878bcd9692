-- What lies before a message, newest first, for a summary. ARGV: its id, most tokens.
-- Answers the count of forgettings so far, the earlier summary that was met on the way (or ''), and the messages.
local nodes, budget, earlier = {}, tonumber(ARGV[2]), ''
local current = read_node(ARGV[1])
while current and current.parent ~= '' and budget > 0 do
  earlier = redis.call('HGET', TREE, '~' .. current.id) or ''
  if earlier ~= '' and current.id ~= ARGV[1] then break end
  current = read_node(current.parent)
  if current and current.kind ~= 'x' then
    budget = budget - current.tokens
    table.insert(nodes, { current.kind, current.id, current.parent, current.payload })
  end
end
return { redis.call('HGET', STATE, 'forgettings') or '0', earlier, nodes }
