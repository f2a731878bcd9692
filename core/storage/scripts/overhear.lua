-- Keeps what was said beside the bot until the next question there: it stands in its path then (path.lua).
-- ARGV: most kept, seconds, id, tokens, payload, 1 for the new form of a message.
local heard, most, id, tokens, payload = heard_key(), tonumber(ARGV[1]), ARGV[3], ARGV[4], ARGV[5]
if redis.call('HGET', STATE, 'moved') then return 0 end
local node = read_node(id)
if node then
  -- In the tree already: heard before an earlier question, or one itself, which stays as it was answered.
  local is_answered = redis.call('HEXISTS', TREE, '@' .. node.id) == 1
  if ARGV[6] == '1' and node.kind == 'q' and not is_answered and node.payload ~= payload then
    write_node(node.id, node.parent, node.before, tokens, 'q', payload)
  end
  return 0
end
local entry, kept = table.concat({ id, tokens, payload }, '\t'), redis.call('LRANGE', heard, 0, -1)
for index, other in ipairs(kept) do
  if string.match(other, '^[^\t]*') == id then
    redis.call('LSET', heard, index - 1, entry)
    return 1
  end
end
-- A message that was never heard is not to stand where it was edited.
if ARGV[6] == '1' then return 0 end
redis.call('RPUSH', heard, entry)
redis.call('LTRIM', heard, -most, -1)
redis.call('EXPIRE', heard, ARGV[2])
return 1
