import TensorGraph
import Testing

@Suite struct ConstantTests {
    @Test func elementsConvert() {
        let floats = Constant([1.5, -2.5, .nan, 3e30] as [Float], shape: [2, 2])
        #expect(floats.int64Values == [1, -2, 0, 0] && floats.type == TensorType(.float32, [2, 2]))
        let bools = Constant([true, false])
        #expect(bools.int64Values == [1, 0] && bools.floatValues == [1, 0] && bools.type.byteCount == 2)
        #expect(Constant([7, -8] as [Int64]).floatValues == [7, -8])
        #expect(Constant([Float]()).floatValues.isEmpty)
    }

    @Test func viewsShareMemoryAndOutliveTheirSource() {
        var source: Constant? = Constant([1, 2, 3, 4, 5, 6] as [Float])
        let view = Constant(viewing: source!, as: TensorType(.float32, [2, 3]))
        #expect(view.bytes.baseAddress == source!.bytes.baseAddress)
        source = nil
        #expect(view.floatValues == [1, 2, 3, 4, 5, 6] && view.type.shape == [2, 3])
    }

    @Test func identityIsOfTypeAndElements() {
        let a = Constant([1, 2] as [Float])
        #expect(a.isIdentical(to: Constant([1, 2] as [Float])))
        #expect(!a.isIdentical(to: Constant([1, 3] as [Float])))
        #expect(!a.isIdentical(to: Constant([1, 2] as [Float], shape: [1, 2])))
        #expect(!Constant([0, 0] as [Float]).isIdentical(to: Constant([0] as [Int64])))
    }

    @Test func newMemoryIsZeroed() {
        let constants = Constant.make([TensorType(.float64, [3]), TensorType(.bool, [2])]) {
            $0[1].storeBytes(of: 1, as: UInt8.self)
        }
        #expect(constants[0].floatValues == [0, 0, 0] && constants[1].int64Values == [1, 0])
    }

    @Test(
        arguments: [
            ([[2, 3], [3]], [2, 3]), ([[2, 1], [1, 4]], [2, 4]), ([[], [5]], [5]), ([[0, 3], [1, 3]], [0, 3]),
            ([[2, 3], [2, 4]], nil), ([[3], [2], [1]], nil), ([], []),
        ] as [([[Int]], [Int]?)])
    func broadcasting(_ shapes: [[Int]], _ expected: [Int]?) { #expect(broadcastedShape(shapes) == expected) }

    @Test func shapes() {
        #expect([2, 3, 4].rowMajorStrides == [12, 4, 1] && [Int]().elementCount == 1 && [2, 0].elementCount == 0)
        #expect([3].leftPadded(toRank: 3) == [1, 1, 3])
        #expect("\(TensorType(.int64, [2, 3]))" == "i64[2,3]")
    }
}
