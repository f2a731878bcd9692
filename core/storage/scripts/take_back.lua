-- Lets go of a page that is about to be taken back: the platform tells of that as of any deletion, and a deleted page
-- takes its answer along. ARGV: fence, turn number, the page's message id.
local stale = check_turn(ARGV[1], ARGV[2])
if stale then return stale end
if string.sub(redis.call('HGET', TREE, ARGV[3]) or '', 1, 1) == '=' then
  redis.call('HDEL', TREE, ARGV[3])
  redis.call('ZREM', ORDER, ARGV[3])
end
return 'ok'
