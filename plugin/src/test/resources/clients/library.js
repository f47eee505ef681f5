// Asks a node, whose address is the argument, what the section "From your language" of the README
// says, and prints the answers as one JSON object.
import { Client } from '@elastic/elasticsearch'

const client = new Client({ node: process.argv[2] })

await client.ingest.putPipeline({
  id: 'script',
  processors: [{ lanewise_embed: { field: 'body' } }]
})
await client.indices.create({
  index: 'library',
  mappings: {
    properties: {
      body: { type: 'text' },
      body_vector: { type: 'dense_vector', dims: 256, similarity: 'cosine' }
    }
  }
})
const texts = {
  pressure: 'Hypertension often falls when people eat less salt and exercise regularly.',
  sun: 'Solar cells convert sunlight directly into an electric current.',
  house: 'A mortgage is a loan that is secured by the house it pays for.'
}
const operations = Object.entries(texts).flatMap(([_id, body]) => [{ index: { _id } }, { body }])
operations.push({ index: { _id: 'refused' } }, { body: 7 })
const bulk = await client.bulk({ index: 'library', pipeline: 'script', refresh: true, operations })

const simulated = await client.ingest.simulate({
  pipeline: { processors: [{ lanewise_tag: { model_id: 'ner-en', field: 'body', target_field: 'names' } }] },
  docs: [{ _source: { body: 'Mary Shelley lived in London.' } }]
})

const found = await client.search({
  index: 'library',
  knn: {
    field: 'body_vector',
    k: 3,
    num_candidates: 50,
    query_vector_builder: { lanewise: { model_text: 'what lowers high blood pressure?' } }
  }
})
const vectors = await client.transport.request({
  method: 'POST',
  path: '/_lanewise/embed/lanewise-mini-en',
  body: { input: ['first text', 'second text'] }
})

const fused = await client.search({
  index: 'library',
  retriever: {
    lanewise_hybrid: {
      retrievers: [
        { standard: { query: { match: { body: 'electric current' } } } },
        {
          knn: {
            field: 'body_vector',
            k: 3,
            num_candidates: 50,
            query_vector_builder: { lanewise: { model_text: 'electric current' } }
          }
        }
      ]
    }
  }
})

let refused
try {
  await client.transport.request({ method: 'POST', path: '/_lanewise/embed/none', body: { input: 'a' } })
} catch (error) {
  refused = { name: error.name, status: error.statusCode, message: error.message }
}

console.log(JSON.stringify({ bulk, simulated, found, fused, vectors, refused }))
