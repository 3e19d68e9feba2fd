-- Takes a call's part of every limit of those who pay for it, or of none.
--
-- KEYS[1]: replicas, by until when each is taken to be alive, in seconds since 1970. KEYS[2..]: one hash for each who
-- pays. Its fields: `d`, what the database has of what was spent; `p/REPLICA`, what that replica has reserved or not
-- written yet; `n/REPLICA`, how many calls run there; `m` and `u`, a minute and the calls in it; `m/SERVER` and `u/SERVER`.
-- ARGV: this replica, what the call costs, how long a hash is kept, in seconds; then for each who pays: the budget, what
-- the database has as far as this replica knows, calls at once, calls a minute, the server, its calls a minute. What does
-- not bound is empty.
-- Answers {0}, or {which of those who pay, what is used up, what was spent or the seconds until the next minute}.
-- All times are this server's, so replicas whose clocks differ count the same minutes.
local NUMBERS = 6
local me, price, keep = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local now = tonumber(redis.call('TIME')[1])
local minute, left = math.floor(now / 60), 60 - now % 60

local alive = { [me] = true }
for _, replica in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], now, '+inf')) do alive[replica] = true end

-- How many calls were in this minute. A clock that went back neither opens a minute again nor locks it for longer than one.
local function used(key, account, suffix)
  local of = tonumber(account['m' .. suffix])
  if not of or minute > of then return 0 end
  if minute < of then redis.call('HSET', key, 'm' .. suffix, minute) end
  return tonumber(account['u' .. suffix]) or 0
end

local plans = {}
for at = 2, #KEYS do
  local base = 3 + (at - 2) * NUMBERS
  local budget, known = tonumber(ARGV[base + 1]), ARGV[base + 2]
  local parallel, rpm = tonumber(ARGV[base + 3]), tonumber(ARGV[base + 4])
  local server, server_rpm = '/' .. ARGV[base + 5], tonumber(ARGV[base + 6])
  local account, pending, running = {}, 0, 0
  local fields = redis.call('HGETALL', KEYS[at])
  for field = 1, #fields, 2 do
    local name, value = fields[field], fields[field + 1]
    local kind, replica = string.match(name, '^([pn])/(.+)$')
    if kind and not alive[replica] then
      -- Its calls ended with it, and what it had not written is nobody's.
      redis.call('HDEL', KEYS[at], name)
    elseif kind == 'p' then
      pending = pending + tonumber(value)
    elseif kind == 'n' then
      running = running + tonumber(value)
    else
      account[name] = value
    end
  end
  if budget then
    local spent = tonumber(account.d)
    if not spent then
      spent = tonumber(known)
      redis.call('HSET', KEYS[at], 'd', known)
      redis.call('EXPIRE', KEYS[at], keep)
    end
    local cost = spent + pending
    if not (cost + 1e-9 < budget and cost + price <= budget + 1e-9) then
      return { at - 1, 'budget', string.format('%.17g', cost) }
    end
  end
  if parallel and running >= parallel then return { at - 1, 'parallel', '' } end
  local calls = rpm and used(KEYS[at], account, '')
  if calls and calls >= rpm then return { at - 1, 'requests', tostring(left) } end
  local server_calls = server_rpm and used(KEYS[at], account, server)
  if server_calls and server_calls >= server_rpm then return { at - 1, 'server', tostring(left) } end
  plans[at] = { budget = budget, parallel = parallel, calls = calls, server = server, server_calls = server_calls }
end

for at = 2, #KEYS do
  local key, plan = KEYS[at], plans[at]
  if plan.budget and price > 0 then redis.call('HINCRBYFLOAT', key, 'p/' .. me, ARGV[2]) end
  if plan.parallel then redis.call('HINCRBY', key, 'n/' .. me, 1) end
  if plan.calls then redis.call('HSET', key, 'm', minute, 'u', plan.calls + 1) end
  if plan.server_calls then
    redis.call('HSET', key, 'm' .. plan.server, minute, 'u' .. plan.server, plan.server_calls + 1)
  end
  redis.call('EXPIRE', key, keep)
end
return { 0 }
