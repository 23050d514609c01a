/// One sample's reads of a table, so ordered that reads of one row stand together, in the order of their positions.
///
/// What several positions add to one row may cancel, and be as small as it likes beside each of them. Whatever takes part in
/// sums over samples is therefore added up by row first, in double precision: then its norm is the norm of what enters
/// the sum, and nothing large passes through sums that other samples have a part in.
struct TableReads {
    private let tokens: UnsafePointer<Int64>
    private let order: UnsafeMutablePointer<Int32>
    private let count: Int

    /// - Parameters:
    ///   - tokens: rows read, [count], each in 0..<`rows`.
    ///   - order: memory for `count` places.
    init(_ tokens: UnsafePointer<Int64>, count: Int, rows: Int, order: UnsafeMutablePointer<Int32>) {
        for place in 0..<count {
            precondition(
                tokens[place] >= 0 && tokens[place] < Int64(rows),
                "embedding index \(tokens[place]) is outside 0..<\(rows)")
            order[place] = Int32(place)
        }
        var places = UnsafeMutableBufferPointer(start: order, count: count)
        places.sort { (tokens[Int($0)], $0) < (tokens[Int($1)], $1) }
        self.init(tokens, count: count, sorted: order)
    }

    /// Reads that have been sorted before.
    init(_ tokens: UnsafePointer<Int64>, count: Int, sorted order: UnsafeMutablePointer<Int32>) {
        (self.tokens, self.order, self.count) = (tokens, order, count)
    }

    /// Calls `body` with every distinct row, in ascending order, and the positions that read it.
    @inline(__always)
    func forEachRow(_ body: (_ row: Int, _ positions: UnsafeBufferPointer<Int32>) -> Void) {
        var start = 0
        while start < count {
            let row = tokens[Int(order[start])]
            var end = start + 1
            while end < count, tokens[Int(order[end])] == row { end += 1 }
            body(Int(row), UnsafeBufferPointer(start: order + start, count: end - start))
            start = end
        }
    }

    /// sum:[columns] = the columns of g:[count, width] added up over `positions`.
    @inline(__always)
    static func add(
        _ g: UnsafePointer<Float>, width: Int, columns: Range<Int>, over positions: UnsafeBufferPointer<Int32>,
        into sum: UnsafeMutablePointer<Double>
    ) {
        sum.update(repeating: 0, count: columns.count)
        for position in positions {
            let source = g + Int(position) * width + columns.lowerBound
            for column in 0..<columns.count { sum[column] += Double(source[column]) }
        }
    }

    /// Adds a sample's gradients g:[count, width] up by row and calls `body` with the rows of one tile after the other,
    /// whose sums stand in summed:[rows of the tile, width]; a tile has `GhostNorm.tile` rows at most.
    static func forEachTile(
        of tokens: UnsafePointer<Int64>, _ g: UnsafePointer<Float>, count: Int, rows: Int, width: Int,
        into summed: UnsafeMutablePointer<Float>, _ body: (_ rows: UnsafeBufferPointer<Int64>) -> Void
    ) {
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: count) { order in
            withUnsafeTemporaryAllocation(of: Int64.self, capacity: GhostNorm.tile) { tile in
                withUnsafeTemporaryAllocation(of: Double.self, capacity: width) { sum in
                    let sum = sum.baseAddress!
                    var filled = 0
                    let reads = TableReads(tokens, count: count, rows: rows, order: order.baseAddress!)
                    reads.forEachRow { row, positions in
                        add(g, width: width, columns: 0..<width, over: positions, into: sum)
                        for column in 0..<width { summed[filled * width + column] = Float(sum[column]) }
                        tile[filled] = Int64(row)
                        filled += 1
                        if filled == GhostNorm.tile {
                            body(UnsafeBufferPointer(rebasing: tile.prefix(filled)))
                            filled = 0
                        }
                    }
                    if filled > 0 { body(UnsafeBufferPointer(rebasing: tile.prefix(filled))) }
                }
            }
        }
    }
}
