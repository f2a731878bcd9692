-- Removes messages from the tree, the mailbox and the open turn for good; a question takes its answer along, an answer
-- its question. ARGV: message ids. Answers how many of them were known.
local known = 0
local function blank(node)
  redis.call('HDEL', TREE, '~' .. node.id, '@' .. node.id)
  write_node(node.id, node.parent, node.before, node.tokens, 'x', '')
end
local wanted = {}
for _, id in ipairs(ARGV) do
  wanted[id] = true
  local node = read_node(id)
  if node and node.kind ~= 'x' then
    known = known + 1
    local question = node.kind == 'a' and read_node(node.parent) or node
    local answered = question and redis.call('HGET', TREE, '@' .. question.id)
    local answer = answered and read_node(answered)
    if answer then blank(answer) end
    if question then blank(question) end
    if node.kind == 'a' then blank(node) end
  end
end
-- Summaries may have been made of what is to be forgotten.
if known > 0 then
  redis.call('HINCRBY', STATE, 'forgettings', 1)
  local cursor = '0'
  repeat
    local page = redis.call('HSCAN', TREE, cursor, 'MATCH', '~*', 'COUNT', 1000)
    cursor = page[1]
    for i = 1, #page[2], 2 do redis.call('HDEL', TREE, page[2][i]) end
  until cursor == '0'
end
for _, waiting in ipairs(redis.call('LRANGE', BOX, 0, -1)) do
  if string.sub(waiting, 1, 1) ~= '!' then
    local value = cjson.decode(waiting)
    if value['type'] == 'message' and wanted[value['id']] then
      redis.call('LREM', BOX, 1, waiting)
      known = known + 1
    end
  end
end
local open = redis.call('HGET', TURN, 'entry')
if open and string.sub(open, 1, 1) ~= '!' then
  local value = cjson.decode(open)
  if value['type'] == 'message' and wanted[value['id']] then
    redis.call('HSET', TURN, 'interrupt', 'forgotten')
    known = known + 1
  end
end
return known
