-- Drops a dead letter. ARGV: id. Answers 1 if there was one, else 0.
local member = find_failed(ARGV[1])
if not member then return 0 end
drop_failed(member)
return 1
