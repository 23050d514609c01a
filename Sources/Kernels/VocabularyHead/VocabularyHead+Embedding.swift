import Glibc

extension VocabularyHead {
    /// Scratch elements of `innerProducts` for a pool of `workers` threads.
    public func innerProductScratchCount(positions: Int, workers: Int) -> Int { workers * workerCount(positions) }

    private func workerCount(_ positions: Int) -> Int {
        let tokens = min(positions, GhostNorm.tile)
        return tokens * width + 2 * tokens * min(rowsPerSample, GhostNorm.tile)
    }

    /// products:[samples] = <G_i of the reads, G_i of the head> for a table that is read by `indices` and is also the
    /// head's weights: sum_{s,t} (g[s] . x[t]) * dlogits[t, indices[s]] (ALGORITHMS, shared parameters).
    ///
    /// indices:[samples, positions], each in 0..<classes; g:[samples, positions, width] gradient of what was read. Logits
    /// of the classes that a sample reads are all that is computed.
    public func innerProducts(
        _ operands: Operands, logSums: UnsafePointer<Float>, rowWeights: UnsafePointer<Float>,
        indices: UnsafePointer<Int64>, g: UnsafePointer<Float>, positions: Int,
        into products: UnsafeMutablePointer<Double>, scratch: UnsafeMutablePointer<Float>, pool: ThreadPool
    ) {
        let side = GhostNorm.tile
        pool.forEach(samples) { sample, worker in
            let table = scratch + worker * workerCount(positions)
            let logits = table + min(positions, side) * width
            let inner = logits + min(positions, side) * min(rowsPerSample, side)
            let read = PositionMatrix(
                pointer: g + sample * positions * width, stride: width, features: width, isFeatureMajor: false)
            let x = PositionMatrix(
                pointer: operands.x + sample * rowsPerSample * width, stride: width, features: width,
                isFeatureMajor: false)
            let own = indices + sample * positions
            var sum = 0.0
            for first in stride(from: 0, to: positions, by: side) {
                let tokens = first..<min(positions, first + side)
                gather(operands, own, tokens, into: table)
                let chosen = PositionMatrix(
                    pointer: table, stride: width, features: width, isFeatureMajor: false)
                for firstRow in stride(from: 0, to: rowsPerSample, by: side) {
                    let rows = firstRow..<min(rowsPerSample, firstRow + side)
                    x.gram(chosen, rows: rows, columns: 0..<tokens.count, into: logits)
                    x.gram(read, rows: rows, columns: tokens, into: inner)
                    for (index, row) in rows.enumerated() {
                        let place = sample * rowsPerSample + row
                        if !hasGradient(place, operands, rowWeights) { continue }
                        let (target, weight) = (operands.targets[place], rowWeights[place])
                        for (column, token) in tokens.enumerated() {
                            let at = index * tokens.count + column
                            let logit = logits[at] + (operands.bias?[Int(own[token])] ?? 0)
                            let probability = exp(logit - logSums[place])
                            let gradient = (probability - (own[token] == target ? 1 : 0)) * weight
                            sum += Double(inner[at]) * Double(gradient)
                        }
                    }
                }
            }
            products[sample] = sum
        }
    }

    /// table:[tokens, width] = the weights of the classes that are read.
    private func gather(
        _ operands: Operands, _ indices: UnsafePointer<Int64>, _ tokens: Range<Int>,
        into table: UnsafeMutablePointer<Float>
    ) {
        for (row, token) in tokens.enumerated() {
            let index = Int(indices[token])
            precondition((0..<classes).contains(index), "embedding index \(index) is outside 0..<\(classes)")
            let own = weights(operands, of: index..<index + 1)
            for column in 0..<width {
                table[row * width + column] = own.pointer[isClassMajor ? column : column * own.stride]
            }
        }
    }
}
