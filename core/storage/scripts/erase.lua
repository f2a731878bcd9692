-- Takes a person out of a conversation but for what the tree keeps of their questions: what waits of theirs, their open
-- turn, their words where others quote them.
-- ARGV: conversation, account id, id of the call that asks for it (its own turn goes on), ids of questions that quote them.
-- Answers how many were found.
local conversation, account, own, found = ARGV[1], ARGV[2], ARGV[3], 0
local function names(value, field, name)
  local who = value[field]
  return type(who) == 'table' and who[name] == account
end

local kept, is_changed = {}, false
for _, waiting in ipairs(redis.call('LRANGE', BOX, 0, -1)) do
  local value = read_entry(waiting)
  if names(value, 'author', 'id') and value['id'] ~= own then
    local album = album_of(waiting)
    if album then redis.call('DEL', album) end
    -- Those that it stood for were theirs, or are told of by nobody.
    if string.sub(waiting, 1, 1) == '!' then redis.call('HDEL', STATE, 'overflow', 'busy') end
    count(space_of(waiting), -1)
    found, is_changed = found + 1, true
  elseif names(value, 'quote', 'author_id') then
    value['quote'] = nil
    table.insert(kept, (string.sub(waiting, 1, 1) == '!' and '!' or '') .. cjson.encode(value))
    found, is_changed = found + 1, true
  else
    table.insert(kept, waiting)
  end
end
if is_changed then
  redis.call('DEL', BOX)
  for _, waiting in ipairs(kept) do redis.call('RPUSH', BOX, waiting) end
end

local open = read_entry(redis.call('HGET', TURN, 'entry'))
if names(open, 'author', 'id') and open['id'] ~= own and redis.call('HGET', TURN, 'interrupt') ~= 'forgotten' then
  if open['album'] then redis.call('DEL', album_key(open['album'])) end
  redis.call('HSET', TURN, 'interrupt', 'forgotten')
  call_holder(conversation)
  found = found + 1
end

for index, entry in ipairs(redis.call('LRANGE', heard_key(), 0, -1)) do
  local id, tokens, payload = string.match(entry, '^([^\t]*)\t(%d+)\t(.*)$')
  local said = payload and cjson.decode(payload) or {}
  if names(said, 'quote', 'author_id') then
    said['quote'] = nil
    redis.call('LSET', heard_key(), index - 1, table.concat({ id, tokens, cjson.encode(said) }, '\t'))
    found = found + 1
  end
end

for i = 4, #ARGV do
  local node = read_node(ARGV[i])
  local question = node and node.kind == 'q' and cjson.decode(node.payload)
  if question and names(question, 'quote', 'author_id') then
    question['quote'] = nil
    write_node(node.id, node.parent, node.before, node.tokens, 'q', cjson.encode(question))
    found = found + 1
  end
end
return found
