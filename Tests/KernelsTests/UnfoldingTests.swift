import CVectorKernels
import Testing

/// Rows of unfolded images, and the largest entries of windows, by every instruction set.
@Suite struct UnfoldingTests {
    /// Elements of a kernel that start anywhere in a plane, and rows of equal length in it.
    private struct Problem {
        let elements: [Int64]
        let rows: [vk_stretch]
        let positions: Int
        let planeCount: Int
        let stride: Int

        init(width: Int, height: Int, _ random: inout SeededValues) {
            let pitch = width + random.int(0...3)
            elements = (0..<5).map { _ in Int64(random.int(0...2 * pitch)) }
            rows = (0..<height).map { vk_stretch(offset: Int64($0 * pitch), count: Int64(width)) }
            positions = width * height
            planeCount = (height + 3) * pitch + 16
            stride = positions + random.int(0...2)
        }

        /// (place in the columns, place in the plane) of all that is moved.
        var pairs: [(column: Int, plane: Int)] {
            elements.enumerated().flatMap { element, offset in
                rows.enumerated().flatMap { index, row in
                    (0..<Int(row.count)).map {
                        (element * stride + index * Int(row.count) + $0, Int(offset + row.offset) + $0)
                    }
                }
            }
        }
    }

    @Test func movesRowsThereAndBack() {
        var random = SeededValues(61)
        for width in [1, 3, 4, 5, 7, 8, 13, 16, 17, 40] {
            for height in [1, 2, 6] {
                let problem = Problem(width: width, height: height, &random)
                let plane = random.floats(problem.planeCount)
                let columns = random.floats(problem.elements.count * problem.stride + 16)
                for table in supportedTables() {
                    let name = "\(String(cString: table.pointee.name)) \(width)x\(height)"
                    var unfolded = columns
                    table.pointee.unfold(
                        plane, problem.elements, Int64(problem.elements.count), problem.rows, Int64(height),
                        Int64(problem.positions), &unfolded, Int64(problem.stride))
                    var expected = columns
                    for pair in problem.pairs { expected[pair.column] = plane[pair.plane] }
                    #expect(unfolded == expected, "\(name)")
                    var folded = plane
                    table.pointee.fold_add(
                        columns, Int64(problem.stride), problem.elements, Int64(problem.elements.count), problem.rows,
                        Int64(height), &folded)
                    var sums = plane
                    for pair in problem.pairs { sums[pair.plane] += columns[pair.column] }
                    #expect(folded == sums, "\(name)")
                }
            }
        }
    }

    @Test func largestOfWindowsSideBySide() {
        var random = SeededValues(62)
        for step in 1...3 {
            for count in [1, 3, 4, 8, 11, 16, 29, 40] {
                let taps: [Int32] = [2, 0, 7, 31, 33]
                let marks: [Int32] = [10, 11, 12, 13, 14]
                // Few values, so that ties occur.
                var x = (0..<step * count + 34).map { _ in Float(random.int(0...4)) }
                x[random.int(0...x.count - 1)] = .nan
                x[random.int(0...x.count - 1)] = -.infinity
                for table in supportedTables() {
                    var out = [Float](repeating: 0, count: count)
                    var winners = [Int32](repeating: 0, count: count)
                    table.pointee.max_windows(
                        x, Int64(step), taps, marks, Int64(taps.count), &out, &winners, Int64(count))
                    for index in 0..<count {
                        let values = taps.map { x[Int($0) + index * step] }
                        let last = values.lastIndex { $0.isNaN }
                        let winner = last ?? values.firstIndex(of: values.max()!)!
                        #expect(winners[index] == marks[winner], "\(String(cString: table.pointee.name)) \(step)")
                        #expect(out[index] == values[winner] || out[index].isNaN && values[winner].isNaN)
                    }
                }
            }
        }
    }
}
