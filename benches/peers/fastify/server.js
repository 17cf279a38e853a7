// `GET /api/calls` as a Fastify service would answer it, over postgres.js. What benches/http.rs measures Plumbline against.
//
// The same token check (RS256, issuer, audience, expiry, role) and the same JSON from the same rows, but no row security: the pool's role owns
// the tables and a predicate names the organizations. The key and the directory of organizations are read once, when it starts.
// Tuned as the documentations advise: a response schema (fast-json-stringify), verified tokens cached by fast-jwt, prepared statements, no log,
// one worker per core.
import { createPublicKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import cluster from 'node:cluster'
import Fastify from 'fastify'
import jwt from '@fastify/jwt'
import postgres from 'postgres'

const settings = JSON.parse(process.env.BENCH_PEER)

if (cluster.isPrimary && settings.workers > 1) {
  for (let n = 0; n < settings.workers; n++) cluster.fork()
} else {
  await serve()
}

async function serve() {
  const LIST = readFileSync(new URL('../list.sql', import.meta.url), 'utf8')
  const MAY_READ_CALLS = new Set(['tenant_admin', 'organization_admin', 'supervisor', 'evaluator', 'coach', 'auditor'])
  const GROUP = '/organizations/'

  const sql = postgres({
    path: `${settings.socket}/.s.PGSQL.5432`,
    user: settings.user,
    database: 'postgres',
    max: settings.connections,
    connection: { search_path: settings.schema, TimeZone: 'UTC' },
    types: {
      // "2026-11-23 09:00:00+00" is nearly what the API shows: no Date in between.
      time: { to: 1184, from: [1184], serialize: String, parse: (text) => text.replace(' ', 'T') + ':00' },
      bigint: { to: 20, from: [20], serialize: String, parse: Number },
    },
  })
  const { keys } = await (await fetch(settings.jwks_uri)).json()
  const key = createPublicKey({ key: keys[0], format: 'jwk' }).export({ type: 'spki', format: 'pem' })
  const directory = new Map()
  for (const row of await sql`select slug, organization_id from organizations where status = 'active'`) {
    directory.set(row.slug, row.organization_id)
  }

  const fastify = Fastify({ logger: false })
  await fastify.register(jwt, {
    secret: { public: key },
    verify: {
      algorithms: ['RS256'],
      allowedIss: settings.issuer,
      allowedAud: settings.audience,
      requiredClaims: ['exp', 'iss', 'aud', 'sub'],
      cache: true,
    },
  })

  const text = { type: 'string' }
  const nullable = { type: 'string', nullable: true }
  const failure = { type: 'object', nullable: true, properties: { stage: text, kind: text, reason: text } }
  const call = {
    type: 'object',
    properties: {
      call_id: text,
      organization_id: text,
      agent_id: nullable,
      scorecard_id: nullable,
      external_id: nullable,
      channel: text,
      language: nullable,
      status: text,
      failure,
      duration_ms: { type: 'integer', nullable: true },
      started_at: nullable,
      received_at: text,
      transcribed_at: nullable,
      evaluated_at: nullable,
      overall_score: { type: 'number', nullable: true },
    },
  }
  const page = { type: 'object', properties: { items: { type: 'array', items: call }, next_cursor: nullable } }
  const querystring = {
    type: 'object',
    properties: { limit: { type: 'integer', minimum: 1, maximum: 200, default: 50 } },
  }

  async function organizations(request, reply) {
    const claims = await request.jwtVerify()
    if (!claims.realm_access.roles.some((role) => MAY_READ_CALLS.has(role))) return reply.code(403).send()
    request.organizations = claims.groups
      .filter((group) => group.startsWith(GROUP))
      .map((group) => directory.get(group.slice(GROUP.length)))
      .filter((organization) => organization !== undefined)
  }

  function view(row) {
    row.failure = row.failed_stage
      ? { stage: row.failed_stage, kind: row.failure_kind, reason: row.failure_reason }
      : null
    return row
  }

  const options = { schema: { querystring, response: { 200: page } }, onRequest: organizations }
  fastify.decorateRequest('organizations', null)
  fastify.get('/api/calls', options, async (request) => {
    const { limit } = request.query
    const rows = await sql.unsafe(LIST, [request.organizations, limit + 1], { prepare: true })
    let next_cursor = null
    if (rows.length > limit) {
      rows.length = limit
      const last = rows[limit - 1]
      next_cursor = Buffer.from(JSON.stringify({ at: last.received_at, id: last.call_id })).toString('base64url')
    }
    return { items: rows.map(view), next_cursor }
  })
  await fastify.listen({ host: '127.0.0.1', port: settings.port })
}
