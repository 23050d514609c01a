import Operators
import TensorGraph
import TestSupport
import Testing

@Suite struct MatrixProductTests {
    struct Shapes: Sendable {
        var left: [Int]
        var right: [Int]
        var transposesLeft = false
        var transposesRight = false

        var operation: MatrixProduct {
            MatrixProduct(transposesLeft: transposesLeft, transposesRight: transposesRight)
        }
    }

    static let all: [Shapes] = [
        Shapes(left: [2, 3], right: [3, 4]),
        Shapes(left: [3, 2], right: [3, 4], transposesLeft: true),
        Shapes(left: [2, 3], right: [4, 3], transposesRight: true),
        Shapes(left: [3, 2], right: [4, 3], transposesLeft: true, transposesRight: true),
        Shapes(left: [5, 2, 3], right: [3, 4]),
        Shapes(left: [5, 2, 3], right: [1, 4, 3], transposesRight: true),
        Shapes(left: [5, 3, 2], right: [3, 4], transposesLeft: true),
        Shapes(left: [2, 3], right: [5, 3, 4]),
        Shapes(left: [3, 2], right: [5, 4, 3], transposesLeft: true, transposesRight: true),
        Shapes(left: [2, 1, 2, 3], right: [3, 3, 4]),
        Shapes(left: [2, 3, 3, 2], right: [2, 1, 3, 4], transposesLeft: true),
        Shapes(left: [2, 0], right: [0, 3]),
        Shapes(left: [0, 2, 3], right: [3, 4]),
    ]

    @Test(arguments: all)
    func product(_ shapes: Shapes) throws {
        var numbers = Numbers(seed: 5)
        let (a, b) = (numbers.floats(shapes.left), numbers.floats(shapes.right))
        let y = try run(shapes.operation, [a, b])[0]
        #expect(agree(y.doubles, Self.naive(a, b, shapes, y.type.shape)))
    }

    @Test(arguments: all, [0, 1])
    func gradient(_ shapes: Shapes, index: Int) throws {
        var numbers = Numbers(seed: 6)
        try checkGradient(
            shapes.operation, [numbers.floats(shapes.left), numbers.floats(shapes.right)], index: index, step: 0.5)
    }

    /// Element by element in double precision.
    private static func naive(_ a: Constant, _ b: Constant, _ shapes: Shapes, _ shape: [Int]) -> [Double] {
        let rank = shape.count
        let depth = shapes.left[shapes.left.count - (shapes.transposesLeft ? 2 : 1)]
        let (x, y) = (a.doubles, b.doubles)
        func offset(_ operand: [Int], _ position: [Int], _ row: Int, _ column: Int) -> Int {
            let padded = operand.leftPadded(toRank: rank)
            let place = zip(padded, position).map { $0 == 1 ? 0 : $1 }.prefix(rank - 2) + [row, column]
            return zip(padded.rowMajorStrides, place).reduce(0) { $0 + $1.0 * $1.1 }
        }
        return (0..<shape.elementCount).map { index in
            let position = zip(shape, shape.rowMajorStrides).map { index / $1 % max($0, 1) }
            return (0..<depth).reduce(0) { sum, k in
                let (row, column) = (position[rank - 2], position[rank - 1])
                let left = shapes.transposesLeft ? (k, row) : (row, k)
                let right = shapes.transposesRight ? (column, k) : (k, column)
                return sum + x[offset(shapes.left, position, left.0, left.1)]
                    * y[offset(shapes.right, position, right.0, right.1)]
            }
        }
    }

    @Test func batchRule() throws {
        let rows = BatchFactor(axis: 0)
        #expect(try outputFactor(MatrixProduct(), [[6, 3], [3, 4]], [rows, nil], batch: 6) == .success(rows))
        let transposed = MatrixProduct(transposesLeft: true)
        #expect(
            try outputFactor(transposed, [[3, 6], [3, 4]], [BatchFactor(axis: 1), nil], batch: 6) == .success(rows))
        #expect(throws: BatchMixing.self) {
            try outputFactor(transposed, [[6, 3], [6, 4]], [rows, nil], batch: 6).get()
        }
        #expect(throws: BatchMixing.self) {
            try outputFactor(MatrixProduct(transposesRight: true), [[6, 3], [6, 3]], [rows, rows], batch: 6).get()
        }
    }

    @Test(arguments: [1, 9, 13])
    func matMulOfVectors(opset: Int) throws {
        let (vector, matrix) = (Constant([1, 2] as [Float]), Constant([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3]))
        let row = try runOperator("MatMul", opset: opset, [vector, matrix])[0]
        #expect(row.type.shape == [3] && row.floatValues == [9, 12, 15])
        let column = try runOperator("MatMul", opset: opset, [matrix, Constant([1, 0, -1] as [Float])])[0]
        #expect(column.type.shape == [2] && column.floatValues == [-2, -2])
        let scalar = try runOperator("MatMul", opset: opset, [vector, vector])[0]
        #expect(scalar.type.shape == [] && scalar.floatValues == [5])
    }

    @Test(arguments: [7, 9, 11, 13])
    func gemm(opset: Int) throws {
        let a = Constant([1, 2, 3, 4] as [Float], shape: [2, 2])
        let b = Constant([1, 0, 2, 1, -1, 3] as [Float], shape: [3, 2])
        let c = Constant([10, 20, 30] as [Float])
        let y = try runOperator(
            "Gemm", opset: opset, [a, b, c],
            attributes: ["transA": .int(1), "transB": .int(1), "alpha": .float(2), "beta": .float(0.5)])[0]
        // A^T B^T = [[1, 5, 8], [2, 8, 10]]
        #expect(y.floatValues == [7, 20, 31, 9, 26, 35])
    }

    @Test func gemmWithoutAddend() throws {
        let identity = Constant([1, 0, 0, 1] as [Float], shape: [2, 2])
        let b = Constant([1, 2, 3, 4] as [Float], shape: [2, 2])
        #expect(try runOperator("Gemm", opset: 13, [identity, b])[0].floatValues == [1, 2, 3, 4])
        #expect(throws: GraphError.self) {
            try runOperator("Gemm", opset: 13, [identity, b, Constant([1, 2, 3] as [Float])])
        }
    }
}
